//! What somebody else, or another job, does to granted folders while a job runs: another folder in the place of one, and a
//! link and a folder that change places all the time. The job has what it was granted, and never what came into its place.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::judge::{end, shortened};
use super::stage::Stage;
use super::table::Row;
use crate::harness::{Job, Ran, Running, Sandbox};

/// An attack of the component that no row of the table performs, since it needs the test's help.
fn begun(stage: &Stage, name: &str) -> Running {
    let row = Row { name: name.into(), payload: Some("hostile".into()), ..Row::default() };
    let words = stage.words(&row);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = Running::start(stage.sandbox.command("wjob", &words));
    running.wait_for_output("ready");
    running
}

#[track_caller]
fn held(ran: &Ran) {
    assert_eq!(end("hostile", ran), "held", "{}", shortened(&ran.described()));
    assert!(!ran.output().contains("a secret"), "the secret was told\n{}", ran.described());
}

#[test]
fn a_granted_folder_that_is_replaced_is_not_followed() {
    let stage = Stage::set(&["ro".into(), "rw".into()]);
    for with in [true, false] {
        let running = begun(&stage, "follow_a_folder_that_is_replaced");
        let (granted, was) = (stage.sandbox.path("ro"), stage.sandbox.path("was"));
        fs::rename(&granted, &was).expect("the granted folder is the caller's own");
        match with {
            true => stage.sandbox.link("outside", "ro"),
            false => fs::rename(stage.sandbox.path("outside"), &granted).expect("another folder in its place"),
        }
        stage.sandbox.write("rw/go", "");
        held(&running.end());
        match with {
            true => fs::remove_file(&granted).expect("the link"),
            false => fs::rename(&granted, stage.sandbox.path("outside")).expect("the other folder"),
        }
        fs::rename(&was, &granted).expect("the granted folder");
        fs::remove_file(stage.sandbox.path("rw/go")).expect("the sign");
    }
}

/// Somebody who swaps two names without an end: until he is told, or they are gone with the test.
fn swapping(one: PathBuf, other: PathBuf) -> Arc<AtomicBool> {
    let over = Arc::new(AtomicBool::new(false));
    let told = over.clone();
    thread::spawn(move || {
        let swap = || renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE);
        while !told.load(Ordering::Relaxed) && swap().is_ok() {}
    });
    over
}

/// The folder holds a file of the same name as the secret, so that each reading finds one or the other.
#[test]
fn a_link_in_a_folders_place_is_never_followed() {
    let stage = Stage::set(&["rw".into()]);
    stage.sandbox.make_folder("rw/turn");
    stage.sandbox.write("rw/turn/secret", "inside\n");
    stage.sandbox.link(&stage.sandbox.name("outside"), "rw/other");
    let running = begun(&stage, "read_through_what_is_swapped");
    let over = swapping(stage.sandbox.path("rw/turn"), stage.sandbox.path("rw/other"));
    let ran = running.end();
    over.store(true, Ordering::Relaxed);
    held(&ran);
}

/// What one job may write decides nothing for another that has been started: its grant is a descriptor, not a name.
#[test]
fn a_job_that_may_write_the_folder_above_moves_no_grant_of_another() {
    let sandbox = Sandbox::new();
    for replacing in
        ["mv /above/other /above/ro", "ln -s other /above/ro", "mkdir /above/ro && cp /above/other/secret /above/ro"]
    {
        fill_above(&sandbox);
        let (granted, signs) = (sandbox.name("above/ro"), sandbox.name("signs"));
        let words = ["run", "--ro", &format!("{granted}:/ro"), "--rw", &format!("{signs}:/rw")].map(String::from);
        let program = super::program("hostile");
        let words = words.into_iter().chain([program, "follow_a_folder_that_is_replaced".into()]);
        let words: Vec<String> = words.chain(["ro=/ro".into(), "rw=/rw".into()]).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let running = Running::start(sandbox.command("wjob", &words));
        running.wait_for_output("ready");
        let script = format!("mv /above/ro /above/was && {replacing}");
        sandbox.run(&Job::shell(&script).path(&sandbox.name("above"), "/above", "ReadWrite")).exits(0);
        sandbox.write("signs/go", "");
        held(&running.end());
    }
}

/// A granted folder, another one beside it, and the one above both, as they are before anybody moves them.
fn fill_above(sandbox: &Sandbox) {
    for name in ["above", "signs"] {
        if sandbox.path(name).exists() {
            fs::remove_dir_all(sandbox.path(name)).expect("a folder of the test's own");
        }
        sandbox.make_folder(name);
    }
    sandbox.make_folder("above/ro");
    sandbox.make_folder("above/other");
    sandbox.write("above/other/secret", "a secret\n");
}
