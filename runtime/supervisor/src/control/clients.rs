//! All clients of the control socket, and how many there may be: no user can take the last place from another, and
//! nobody from root. What they ask is not looked at here.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wjob_sandbox::handover::{Inherited, Kept};

use super::connection::{Connection, SavedConnection};

/// The superuser.
const ROOT: u32 = 0;
/// The most clients.
pub const MOST_CLIENTS: usize = 64;
/// The most clients of one user, root included.
pub const MOST_PER_USER: usize = 8;
/// Places that only root gets; as many as it may have, so that it always gets one of them.
const KEPT_FOR_ROOT: usize = MOST_PER_USER;

/// The clients, each under a number that is given once: what is meant for one that left reaches no other.
#[derive(Debug, Default)]
pub struct Clients {
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

/// The clients as they are handed over, by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedClients {
    connections: Vec<(u64, SavedConnection)>,
    next: u64,
}

impl Clients {
    /// What the next program of this process is told of them.
    pub fn saved(&self, kept: &mut Kept) -> SavedClients {
        let there = self.connections.iter().filter(|(_, connection)| !connection.is_dead());
        SavedClients { connections: there.map(|(number, one)| (*number, one.saved(kept))).collect(), next: self.next }
    }

    /// Those of the program before this one, under the same numbers. One that cannot be gone on with is let go.
    pub fn resumed(saved: SavedClients, inherited: &mut Inherited) -> Self {
        let mut connections = BTreeMap::new();
        for (number, connection) in saved.connections {
            if let Ok(connection) = Connection::resumed(connection, inherited) {
                connections.insert(number, connection);
            }
        }
        Self { connections, next: saved.next }
    }

    /// Whether there is room for one more client of a user.
    ///
    /// # Errors
    /// Why not, and what to do.
    pub fn admits(&self, uid: u32) -> Result<(), &'static str> {
        admits(self.connections.values().map(|connection| connection.peer.uid), uid)
    }

    /// Takes a client in and gives it its number.
    ///
    /// # Errors
    /// There is no room; the client was told why.
    pub fn admit(&mut self, connection: Connection) -> Result<u64, &'static str> {
        if let Err(why) = self.admits(connection.peer.uid) {
            connection.refuse(why);
            return Err(why);
        }
        let number = self.next;
        self.next += 1;
        self.connections.insert(number, connection);
        Ok(number)
    }

    /// The client of that number, if it is still there.
    pub fn get(&mut self, number: u64) -> Option<&mut Connection> {
        self.connections.get_mut(&number)
    }

    /// All of them, by number.
    pub fn all(&mut self) -> impl Iterator<Item = (u64, &mut Connection)> {
        self.connections.iter_mut().map(|(number, connection)| (*number, connection))
    }

    /// Lets a client go.
    pub fn remove(&mut self, number: u64) {
        self.connections.remove(&number);
    }

    /// When [`Self::sweep`] is wanted at the latest.
    pub fn deadline(&self) -> Option<u64> {
        self.connections.values().filter_map(Connection::deadline).min()
    }

    /// Ends those that took too long, lets all go that are over, and says which.
    pub fn sweep(&mut self, now: u64) -> Vec<u64> {
        for connection in self.connections.values_mut() {
            connection.expire(now);
        }
        let dead = self.connections.iter().filter(|(_, connection)| connection.is_dead());
        let dead: Vec<u64> = dead.map(|(number, _)| *number).collect();
        for number in &dead {
            self.connections.remove(number);
        }
        dead
    }
}

/// Whether beside the clients of these users there is room for one more of a user.
fn admits(present: impl Iterator<Item = u32>, uid: u32) -> Result<(), &'static str> {
    let (mut same, mut shared) = (0, 0);
    for user in present {
        same += usize::from(user == uid);
        shared += usize::from(user != ROOT);
    }
    if same >= MOST_PER_USER {
        return Err(
            "this user has as many connections to the supervisor as one may have; end one of them and try again",
        );
    }
    if uid != ROOT && shared >= MOST_CLIENTS - KEPT_FOR_ROOT {
        return Err("the supervisor has as many clients as it takes; try again later");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Users with so many clients each.
    fn users(present: &[(u32, usize)]) -> Vec<u32> {
        present.iter().flat_map(|(uid, count)| std::iter::repeat_n(*uid, *count)).collect()
    }

    #[test]
    fn there_is_room_for_some_of_each_and_always_for_root() {
        let nobody: &[(u32, usize)] = &[];
        let others: Vec<(u32, usize)> = (1..=7).map(|uid| (uid, 8)).collect();
        let full = [&others[..], &[(0, 7)]].concat();
        let crowd: Vec<(u32, usize)> = (1..=56).map(|uid| (uid, 1)).collect();
        for (present, uid, expected) in [
            (nobody, 1000, true),
            (&[(1000, 7)], 1000, true),
            (&[(1000, 8)], 1000, false),
            (&[(1000, 8)], 1001, true),
            (&[(0, 7)], 0, true),
            (&[(0, 8)], 0, false),
            (&[(0, 8)], 1000, true),
            (&others[1..], 1, true),
            (&others, 8, false),
            (&others, 0, true),
            (&full, 0, true),
            (&crowd, 1, false),
            (&crowd, 57, false),
            (&crowd, 0, true),
        ] {
            let found = admits(users(present).into_iter(), uid);
            assert_eq!(found.is_ok(), expected, "{uid} beside {present:?}: {found:?}");
        }
        let most = users(&full).len() + 1;
        assert_eq!(most, MOST_CLIENTS);
    }

    fn connected() -> (Connection, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Connection::accept(ours).unwrap(), theirs)
    }

    #[test]
    fn the_ninth_client_of_a_user_is_sent_away_until_one_has_left() {
        let mut clients = Clients::default();
        let mut ends = Vec::new();
        for number in 0..8 {
            let (connection, end) = connected();
            assert_eq!(clients.admit(connection), Ok(number));
            ends.push(end);
        }
        let (ninth, mut end) = connected();
        assert!(clients.admit(ninth).is_err());
        let mut told = String::new();
        end.read_to_string(&mut told).unwrap();
        assert!(told.contains("as one may have"), "{told}");

        clients.remove(3);
        assert_eq!((clients.get(3).is_none(), clients.all().count()), (true, 7));
        assert_eq!(clients.admit(connected().0), Ok(8));
    }

    #[test]
    fn those_that_left_or_took_too_long_are_swept_out() {
        use std::io::Write;
        let mut clients = Clients::default();
        let (connections, mut ends): (Vec<_>, Vec<_>) = (0..3).map(|_| connected()).unzip();
        for connection in connections {
            clients.admit(connection).unwrap();
        }
        ends[1].write_all(b"{").unwrap();
        drop(ends.remove(2));
        for (_, connection) in clients.all() {
            connection.read(1_000);
            connection.incoming();
        }
        assert_eq!(clients.deadline(), Some(6_000));
        assert_eq!(clients.sweep(5_999), [2]);
        assert_eq!(clients.sweep(6_000), [1]);
        assert_eq!((clients.sweep(60_000), clients.deadline()), (vec![], None));
    }
}
