//! Sockets that go over to the next program of this process, with whoever waits at them. A socket in a folder is taken
//! away with its job by that program then, as it would have been by this one.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use wjob_model::message::Users;
use wjob_model::socket::Socket;
use wjob_sandbox::handover::{HandoverError, Inherited, Kept};

use super::Listener;
use super::path::Placed;
use super::private::Folder;
use super::remote::Connection;

/// A socket as it is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedListener {
    socket: Socket,
    descriptor: i32,
    address: String,
    place: Option<SavedPlace>,
    folder: Option<SavedFolder>,
    admitted: Option<Users>,
    connection: Option<Connection>,
}

/// The folder of one without a place of its own.
#[derive(Debug, Serialize, Deserialize)]
struct SavedFolder {
    parent: i32,
    name: String,
    folder: i32,
}

/// Where it lies.
#[derive(Debug, Serialize, Deserialize)]
struct SavedPlace {
    folder: i32,
    name: PathBuf,
    device: u64,
    inode: u64,
}

impl Listener {
    /// What the next program of this process is told of it.
    pub fn saved(&self, kept: &mut Kept) -> SavedListener {
        let descriptor = kept.keep(&self.descriptor);
        let place = self.place.as_ref().map(|place| SavedPlace {
            folder: kept.keep(&place.folder),
            name: place.name.clone(),
            device: place.device,
            inode: place.inode,
        });
        let folder = self.folder.as_ref().map(|folder| SavedFolder {
            parent: kept.keep(&folder.parent),
            name: folder.name.clone(),
            folder: kept.keep(&folder.folder),
        });
        let (socket, address, admitted) = (self.socket.clone(), self.address.clone(), self.admitted.clone());
        let connection = self.connection.clone();
        SavedListener { socket, descriptor, address, place, folder, admitted, connection }
    }

    /// One of the program before this one.
    ///
    /// # Errors
    /// When it was not handed over.
    pub fn resumed(saved: SavedListener, inherited: &mut Inherited) -> Result<Self, HandoverError> {
        let descriptor = inherited.take(saved.descriptor)?;
        let place = saved.place.map(|place| place.resumed(inherited)).transpose()?;
        let folder = saved.folder.map(|folder| folder.resumed(inherited)).transpose()?;
        let SavedListener { socket, address, admitted, connection, .. } = saved;
        Ok(Self { socket, descriptor, address, place, folder, admitted, connection })
    }
}

impl SavedFolder {
    fn resumed(self, inherited: &mut Inherited) -> Result<Folder, HandoverError> {
        let parent = inherited.take(self.parent)?.into();
        Ok(Folder { parent, name: self.name, folder: inherited.take(self.folder)? })
    }
}

impl SavedPlace {
    fn resumed(self, inherited: &mut Inherited) -> Result<Placed, HandoverError> {
        let folder = inherited.take(self.folder)?.into();
        Ok(Placed { folder, name: self.name, device: self.device, inode: self.inode })
    }
}
