//! What must not become a grant at all, however its name reads: opened by the worker's own step, before the walls.
//! What is reached through a grant once it stands is in `files`.

use wjob_model::grant::{Access, PathGrant};
use wjob_model::wall::Wall;
use wjob_sandbox::grants;

use crate::scene::Scene;
use crate::table::{Answer, Attack, Need, Network, REFUSED, attack, wasm};

/// The table.
pub const ATTACKS: &[Attack] = &[
    attack!(grant_a_fifo, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_socket, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_file_as_a_socket, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_fifo_as_a_socket, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_terminal, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_link_of_proc, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
    attack!(grant_a_link_to_proc, Network::Nothing, Need::NoWalls, [wasm(Wall::Mount, &[REFUSED])]),
];

fn grant(host: String) -> Answer {
    grant_for(host, Access::ReadWrite)
}

fn grant_for(host: String, access: Access) -> Answer {
    let grant = PathGrant { host, guest: "/granted".into(), access };
    grants::open(&[grant], &[], None).map(|_| "it was opened".into()).map_err(|_| REFUSED)
}

fn grant_a_fifo(scene: &Scene) -> Answer {
    grant(scene.host("rw/fifo"))
}

fn grant_a_socket(scene: &Scene) -> Answer {
    grant(scene.outside("stream"))
}

fn grant_a_file_as_a_socket(scene: &Scene) -> Answer {
    grant_for(scene.outside("secret"), Access::Connect)
}

fn grant_a_fifo_as_a_socket(scene: &Scene) -> Answer {
    grant_for(scene.host("rw/fifo"), Access::Connect)
}

fn grant_a_terminal(_: &Scene) -> Answer {
    grant("/dev/ptmx".into())
}

fn grant_a_link_of_proc(_: &Scene) -> Answer {
    grant("/proc/self/cwd".into())
}

/// A plain symbolic link, whose name says nothing of where it leads.
fn grant_a_link_to_proc(scene: &Scene) -> Answer {
    let link = scene.host("rw/to-proc");
    std::os::unix::fs::symlink("/proc/sys", &link).expect("the folder is our own");
    grant(link)
}
