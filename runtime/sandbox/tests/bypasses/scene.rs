//! Where things are, for the attacker: handed from the runner to the payload as arguments. What stands there is the
//! stage's business.

use wjob_model::wall::NetworkPlan;

/// Where a mount wall shows the grants.
const VIEW: &str = "/granted";

/// What a payload knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scene {
    /// The host's folder that holds everything.
    pub folder: String,
    /// The folder where the grants are seen; the host's own without a mount wall.
    pub view: String,
    /// The TCP port that Connect grants.
    pub port: u16,
    /// A TCP port nobody granted, with a listener.
    pub other_port: u16,
    /// The datagram port that Connect grants.
    pub datagram_port: u16,
    /// A datagram port nobody granted.
    pub other_datagram_port: u16,
    /// The TCP port that Bind grants.
    pub bind_port: u16,
    /// A process of the same user.
    pub neighbour: i32,
    /// The process in the supervisor's place.
    pub supervisor: i32,
    /// The user.
    pub user: u32,
    /// The group.
    pub group: u32,
    /// The descriptor from before the walls, where one is needed.
    pub old_descriptor: i32,
    /// The network rules in force.
    pub network: NetworkPlan,
}

impl Scene {
    /// The form `of_arguments` reads; what the payload finds out itself is left out.
    pub fn arguments(&self) -> Vec<String> {
        let ports = [self.port, self.other_port, self.datagram_port, self.other_datagram_port, self.bind_port];
        let mut arguments = vec![self.folder.clone()];
        arguments.extend(ports.map(|port| port.to_string()));
        arguments.extend([self.neighbour, self.supervisor].map(|pid| pid.to_string()));
        arguments.extend([self.user, self.group].map(|id| id.to_string()));
        arguments
    }

    /// The scene of a command line.
    pub fn of_arguments(arguments: &[String]) -> Self {
        let number = |index: usize| arguments[index].parse::<i64>().expect("the runner writes numbers");
        let port = |index| u16::try_from(number(index)).expect("the runner writes ports");
        let pid = |index| i32::try_from(number(index)).expect("the runner writes pids");
        let id = |index| u32::try_from(number(index)).expect("the runner writes ids");
        Self {
            folder: arguments[0].clone(),
            port: port(1),
            other_port: port(2),
            datagram_port: port(3),
            other_datagram_port: port(4),
            bind_port: port(5),
            neighbour: pid(6),
            supervisor: pid(7),
            user: id(8),
            group: id(9),
            ..Self::default()
        }
    }

    /// Sees the grants through a mount wall, or where they are.
    pub fn seen_through(mut self, mount: bool) -> Self {
        self.view = if mount { VIEW.to_owned() } else { self.folder.clone() };
        self
    }

    /// A path of the host, which lies in no grant unless it begins with `ro` or `rw`.
    pub fn host(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// A path outside the grants.
    pub fn outside(&self, name: &str) -> String {
        self.host(&format!("outside/{name}"))
    }

    /// The Unix socket that Connect grants, which is seen where it is.
    pub fn granted_socket(&self) -> String {
        self.outside("granted")
    }

    /// A path in the ReadOnly grant.
    pub fn read_only(&self, name: &str) -> String {
        format!("{}/ro/{name}", self.view)
    }

    /// A path in the ReadWrite grant.
    pub fn read_write(&self, name: &str) -> String {
        format!("{}/rw/{name}", self.view)
    }

    /// The abstract name of a socket of the stage.
    pub fn abstract_name(&self, name: &str) -> String {
        format!("{}-{name}", self.folder)
    }
}
