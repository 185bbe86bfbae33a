//! The other side of an upgrade: a program that takes up what the one before it has left, and goes on. Nothing is read
//! again that could be missing or wrong by now, neither the configuration nor a job file: there is no way back.

use std::os::fd::AsFd;

use wjob_model::control::Upgraded;
use wjob_model::daemon::Partial;
use wjob_model::fleet::{Fleet, Label};
use wjob_model::handover::FORM;
use wjob_model::varlink;
use wjob_sandbox::handover::{self, HandoverError, Inherited};

use super::state::{Jobs, Own, SavedRun, State, Talk};
use crate::attempt::Attempt;
use crate::control::clients::Clients;
use crate::daemon::bound::Bound;
use crate::daemon::left_over::LeftOver;
use crate::daemon::lock::Lock;
use crate::daemon::log::Level;
use crate::daemon::logger::Logger;
use crate::daemon::settings::Settings;
use crate::daemon::setup::{Parts, SetupError, own_process};
use crate::daemon::sockets::{Sockets, Unbound};
use crate::daemon::{Daemon, Running, Wakes, adopted, clock};
use crate::spawn::Image;
use crate::watch::Watcher;

/// A supervisor that goes on with what the program before it has left.
pub struct Resumed {
    daemon: Daemon,
    /// Who waits for the answer.
    client: u64,
    /// Jobs whose next client starts them.
    traffic: Vec<Label>,
}

impl Resumed {
    /// Goes on until it is told to end. The exit status.
    pub fn serve(self) -> u8 {
        let Self { mut daemon, client, traffic } = self;
        let workers = daemon.runs.len();
        daemon.go_on(&traffic);
        daemon.has_taken_over(client, workers);
        daemon.turn_until_the_end()
    }
}

impl Own {
    fn resumed(self, inherited: &mut Inherited, flags: Partial, build: &str) -> Result<Daemon, SetupError> {
        let Self { configuration, overrides, users, orphans, since, .. } = self;
        let settings = Settings { build: build.to_owned(), flags, ..self.settings };
        Daemon::of(Parts {
            signals: own_process(self.files)?,
            lock: Lock::resumed(self.lock, inherited)?,
            overrides,
            users,
            orphans,
            image: Image::resumed(&self.workers, inherited, build)?,
            listener: Bound::resumed(self.listener, inherited)?,
            watcher: Watcher::resumed(self.watcher, inherited)?,
            logger: Logger::resumed(self.logger, inherited, &settings, &configuration)?,
            fleet: Fleet::restored(self.fleet, clock::zone()),
            since,
            settings,
            configuration,
        })
    }
}

impl Daemon {
    /// Takes up what the program before this one has left in a descriptor; `flags` are its own, and `build` names it.
    ///
    /// # Errors
    /// When it is not for this process, has another form, or something of it was not handed over.
    pub fn resume(descriptor: i32, flags: Partial, build: &str) -> Result<Resumed, SetupError> {
        let State { own, jobs, talk, client, kept } = handover::unpack(FORM, handover::inherited(descriptor)?)?;
        let mut inherited = Inherited::take_in(&kept)?;
        // A program that was executed by its descriptor is called by the number of that.
        let _ = rustix::thread::set_name(super::NAME);
        let mut daemon = own.resumed(&mut inherited, flags, build)?;
        let traffic = daemon.take_up_jobs(jobs, &mut inherited)?;
        daemon.take_up_clients(talk, &mut inherited);
        Ok(Resumed { daemon, client, traffic })
    }

    /// Which of them wait for their next client is told.
    fn take_up_jobs(&mut self, jobs: Jobs, inherited: &mut Inherited) -> Result<Vec<Label>, HandoverError> {
        let Jobs { runs, left_over, origins, watched, next_token, sockets, unbound } = jobs;
        for SavedRun { run, attempt, record, written } in runs {
            let attempt = Attempt::resumed(attempt, inherited)?;
            self.runs.insert(run, Running { attempt, record, written });
        }
        for left in left_over {
            self.left_over.push(LeftOver::resumed(left, inherited)?);
        }
        let mut traffic = Vec::new();
        for (label, sockets) in sockets {
            let (sockets, waits) = Sockets::resumed(sockets, inherited)?;
            traffic.extend(waits.then(|| label.clone()));
            if sockets.has_lost_one() {
                self.unconnected.insert(label.clone(), Some(0));
            }
            self.sockets.insert(label, sockets);
        }
        self.tokens = watched.iter().map(|(token, label, kind)| ((label.clone(), *kind), *token)).collect();
        self.watched = watched.into_iter().map(|(token, label, kind)| (token, (label, kind))).collect();
        (self.origins, self.next_token) = (origins, next_token);
        self.unbound = unbound.into_iter().map(|(label, why)| (label, Unbound { why, again_at: 0 })).collect();
        Ok(traffic)
    }

    fn take_up_clients(&mut self, talk: Talk, inherited: &mut Inherited) {
        self.clients = Clients::resumed(talk.clients, inherited);
        self.callers = talk.callers.into_iter().collect();
        (self.leaving, self.subscribers) = (talk.leaving, talk.subscribers);
        // Some may have said more than was asked of them yet.
        self.busy = self.clients.all().map(|(client, _)| client).collect();
    }

    /// Waits for all that the program before this one has waited for, and looks at what has happened meanwhile.
    fn go_on(&mut self, traffic: &[Label]) {
        let runs: Vec<_> = self.runs.keys().copied().collect();
        runs.into_iter().for_each(|run| self.after_attempt(run));
        for left in &self.left_over {
            let worker = &left.worker;
            if let Err(error) = self.poller.add(worker.pidfd.as_fd(), Wakes::LeftOver(worker.pid)) {
                let text = format!("what it left over cannot be waited for: {error}");
                self.log.say(Level::Error, Some(&left.job.label), false, &text);
            }
        }
        traffic.iter().for_each(|label| self.await_traffic(label));
        adopted::reap();
        self.look_at_paths = true;
        // The clock and the zone may be others, and nobody was told. The zone is the fleet's already, and not yet that of
        // the times that were found in the former one.
        let (now, zone) = (clock::now(), self.fleet.zone().clone());
        let actions = [self.fleet.clock_set(now), self.fleet.zone_set(zone, now)].concat();
        self.act(actions);
        self.begin_unprepared();
    }

    /// Whoever has asked for it is told, and everybody else.
    fn has_taken_over(&mut self, client: u64, workers: usize) {
        let build = self.settings.build.clone();
        self.happened(Level::Info, None, "upgraded", &format!("wjobd {build} goes on with {workers} workers"));
        let running = i64::try_from(workers).unwrap_or(i64::MAX);
        self.send(client, varlink::reply(&Upgraded { build, running }, false));
    }
}
