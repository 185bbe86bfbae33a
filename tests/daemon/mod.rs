//! `wjobd` with jobs in it, as its users meet it: what starts and ends them, what its socket answers, what it survives.

mod accounts;
mod caller;
mod cgroup;
mod control;
mod deputy;
mod explain;
mod files;
mod hostile;
mod keys;
mod life;
mod limits;
mod output;
mod paths;
mod private_sockets;
mod process;
mod real;
mod robust;
mod setup;
mod signals;
mod sockets;
mod takeover;
mod users;
mod users_of_sockets;
mod verbs;
mod walls;
mod who;
