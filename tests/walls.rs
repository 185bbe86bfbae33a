//! A machine that lacks a wall: what is refused, what runs without it, and that it says so. The machine is a user
//! namespace in which the kernel gives no further ones, which only root can make; for an ordinary user there is
//! nothing to test here but what `lacking` and `exhausted` have. What each wall holds is the sandbox's own tests'
//! business.

mod exhausted;
mod lacking;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::harness::{self, Ran, Running, Sandbox};

/// Runs its arguments as an ordinary user where no user namespace can be had.
const WITHOUT_NAMESPACES: &str = r#"
mkfifo go && mkdir inside && chown 54321:54321 inside
unshare --user sh -c 'read line < go
    exec setpriv --reuid=0 --regid=0 --clear-groups sh -c "$INSIDE" sh "$@"' sh "$@" &
child=$!
until [ "$(readlink /proc/$child/ns/user)" != "$(readlink /proc/self/ns/user)" ]; do :; done
echo "0 0 65536" > /proc/$child/uid_map
echo "0 0 65536" > /proc/$child/gid_map
echo go > go
wait $child
"#;

/// The part of it that runs in the new namespace.
const INSIDE: &str = r#"echo 0 > /proc/sys/user/max_user_namespaces &&
    exec setpriv --reuid=54321 --regid=54321 --clear-groups --inh-caps=-all --bounding-set=-all "$@""#;

/// A sandbox that everybody can read, with wjob and a probe in it; `None` for an ordinary user.
fn shared_sandbox() -> Option<Sandbox> {
    if !harness::is_root() {
        println!("skipped: only root can make a machine without namespaces");
        return None;
    }
    let sandbox = Sandbox::new();
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a mode");
    let copies = [(harness::binary("wjob"), "wjob"), (harness::guest("probe-read").into(), "probe-read.wasm")];
    for (from, name) in copies {
        // By a process of its own: whatever another test starts meanwhile must not hold it open for writing.
        let copied = Command::new("/bin/cp").arg(from).arg(sandbox.path(name)).status().expect("cp is there");
        assert!(copied.success(), "{name} was not copied");
        open(&sandbox.path(name));
    }
    open(&sandbox.path("."));
    open(&sandbox.make_folder("texts"));
    sandbox.write("texts/a.txt", "text");
    Some(sandbox)
}

/// Runs wjob there. Each run has a machine of its own, so the traces of the last are removed.
fn run(sandbox: &Sandbox, options: &[&str]) -> Ran {
    run_inside(sandbox, INSIDE, options)
}

/// The same, with another way to begin there.
fn run_inside(sandbox: &Sandbox, begin: &str, options: &[&str]) -> Ran {
    let _ = fs::remove_file(sandbox.path("go"));
    let _ = fs::remove_dir_all(sandbox.path("inside"));
    let wjob = sandbox.name("wjob");
    let mut arguments = vec!["-c", WITHOUT_NAMESPACES, "sh", &wjob];
    arguments.extend(options);
    let mut command = sandbox.command_at(Path::new("/bin/sh"), &arguments);
    let inside = sandbox.name("inside");
    command.env("INSIDE", begin).env("HOME", &inside);
    command.env("XDG_CACHE_HOME", format!("{inside}/cache")).env("XDG_STATE_HOME", format!("{inside}/state"));
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    Running::start(command).end()
}

const MISSING: &str = "running without the mount wall: /proc/sys/user/max_user_namespaces is 0";

#[test]
fn a_component_runs_without_a_view_of_its_own_and_reaches_only_its_grants() {
    let Some(sandbox) = shared_sandbox() else { return };
    let grant = format!("{}:/in", sandbox.name("texts"));
    let ran = run(&sandbox, &["run", "--ro", &grant, "probe-read.wasm", "/in/a.txt"]);
    ran.exits(0).says("granted: read").complains(MISSING);
    run(&sandbox, &["run", "--ro", &grant, "probe-read.wasm", "/etc/passwd"]).exits(3).complains(MISSING);
}

#[test]
fn what_needs_the_mount_wall_is_refused_and_best_effort_is_a_word() {
    let Some(sandbox) = shared_sandbox() else { return };
    let file = format!("{}:/in/a.txt", sandbox.name("texts/a.txt"));
    run(&sandbox, &["run", "--ro", &file, "probe-read.wasm", "/in/a.txt"])
        .exits(77)
        .complains("a file needs the mount wall");
    run(&sandbox, &["run", "/bin/echo", "hi"]).exits(77).complains("the mount wall is required and cannot be put up");
    let ran = run(&sandbox, &["run", "--best-effort", "/bin/echo", "hi"]);
    ran.exits(0).says_only("hi\n").complains(MISSING).complains("running without the processes wall");
}

#[test]
fn info_says_which_walls_are_missing_and_why() {
    let Some(sandbox) = shared_sandbox() else { return };
    let ran = run(&sandbox, &["info"]);
    ran.exits(0).says("mount              no: /proc/sys/user/max_user_namespaces is 0").says("landlock           yes");
    ran.says("root's decision; components that need no mount wall run without it and say so\n")
        .says("run out: anybody may");
}

/// A link that an earlier run left in a ReadWrite grant leads nowhere.
#[test]
fn the_working_directory_follows_no_link_out_of_its_grant() {
    let Some(sandbox) = shared_sandbox() else { return };
    let folder = sandbox.make_folder("elsewhere");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("a mode");
    sandbox.link(&sandbox.name("elsewhere"), "texts/link");
    let grant = format!("{}:/in", sandbox.name("texts"));
    let arguments = ["run", "--ro", &grant, "--cwd", "/in/link", "probe-read.wasm", "x"];
    run(&sandbox, &arguments).exits(78).complains("WorkingDirectory /in/link");
    sandbox.wjob(&["run", "--ro", &grant, "--cwd", "/in/link", &sandbox.name("probe-read.wasm"), "x"]).exits(78);
}

/// Looking says that root can have namespaces; trying says otherwise where a container took the right to them.
#[test]
fn namespaces_refused_only_when_tried_are_done_without_where_they_may_be() {
    let Some(sandbox) = shared_sandbox() else { return };
    let setpriv = |arguments: &[&str]| {
        let without = ["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"];
        let wjob = sandbox.name("wjob");
        let all = [&without[..], &[wjob.as_str()], arguments].concat();
        Running::start(sandbox.command_at(Path::new("/usr/bin/setpriv"), &all)).end()
    };
    let refused = "mount wall: unshare: Operation not permitted";
    setpriv(&["run", &sandbox.name("probe-read.wasm"), "/etc/passwd"]).exits(3).complains(refused);
    setpriv(&["run", "/bin/echo", "hi"]).exits(77).complains("the mount wall is required");
    setpriv(&["run", "--best-effort", "/bin/echo", "hi"]).exits(0).says_only("hi\n").complains(refused);
}

/// What bounds root's capabilities is emptied and read back, unless root was never given the right to.
#[test]
fn the_set_that_bounds_roots_capabilities_is_read_back() {
    let Some(sandbox) = shared_sandbox() else { return };
    let wjob = sandbox.name("wjob");
    let run = |how: &[&str]| {
        let words = [how, &[wjob.as_str(), "run", "--show-walls", "probe-read.wasm", "/etc/passwd"][..]].concat();
        Running::start(sandbox.command_at(Path::new("/usr/bin/setpriv"), &words)).end()
    };
    run(&["--inh-caps=-all"]).exits(3).complains("capabilities       stands  CapBnd: 0000000000000000");
    let without = run(&["--bounding-set=-setpcap", "--inh-caps=-setpcap"]);
    without.exits(3).complains("capabilities       stands  CapBnd: ");
    run(&["--securebits=+noroot"]).exits(3).does_not_complain("CapBnd");
}
