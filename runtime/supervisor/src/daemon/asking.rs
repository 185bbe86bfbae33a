//! Who a job runs as, found out before its run is prepared: at once where the files know it, else by a short-lived child
//! that asks the machine's name service and is ended when that takes too long (the rules of roots and users).

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Instant;

use wjob_model::account::{Known, Question};
use wjob_model::fleet::{Action, RunId};
use wjob_model::job::Job;
use wjob_model::message::{FromWorker, Role, StartFailure};
use wjob_model::run::Event;

use super::own_users::ROLE;
use super::{Daemon, Wakes, clock};
use crate::accounts::{files_suffice, is_owner, keeps_its_place, name_of, of_files, person};
use crate::helper::{Errand, Silence};
use crate::order::Person;

/// A question under way, for a run that is not prepared yet.
#[derive(Debug)]
pub(super) struct Asking {
    job: Arc<Job>,
    question: Question,
    errand: Errand,
    /// When it has taken too long.
    pub deadline: Instant,
}

impl Asking {
    /// The job's label.
    pub fn label(&self) -> &str {
        &self.job.label
    }

    /// What wakes when there is an answer.
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.errand.as_fd()
    }
}

impl Daemon {
    /// Begins a run: finds out who it is, now or when the answer comes, and then prepares it.
    pub(super) fn begin_run(&mut self, job: &Arc<Job>, run: RunId) -> Result<Option<Event>, StartFailure> {
        if self.reader.owner != 0 {
            keeps_its_place(job)?;
        }
        let Some(question) = Question::of(job)? else {
            let person = self.unnamed(job)?;
            return self.attempt(job, run, person);
        };
        let known = of_files(&question);
        if known.answers(&question) && files_suffice() {
            let person = self.named(job, &question, known)?;
            return self.attempt(job, run, person);
        }
        let asking = self.ask(job, question)?;
        self.poller
            .add(asking.as_fd(), Wakes::Asking(run))
            .map_err(|error| StartFailure::own("waiting for the name service", error))?;
        self.asking.insert(run, asking);
        Ok(None)
    }

    fn ask(&mut self, job: &Arc<Job>, question: Question) -> Result<Asking, StartFailure> {
        // A user of its own: nobody's else processes can reach into the one that answers.
        let identity = match self.reader.owner {
            0 => Some(
                self.users.of(ROLE, name_of).map_err(|why| StartFailure::own("a user id to look accounts up", why))?,
            ),
            _ => None,
        };
        let errand = Errand::start(&self.image, Role::Account(question.clone()), &[], identity.as_ref())
            .map_err(|silence| StartFailure::own("looking up an account", silence))?;
        let deadline = Instant::now() + self.configuration.account_time;
        Ok(Asking { job: job.clone(), question, errand, deadline })
    }

    /// The name service has answered, or taken too long.
    pub(super) fn answered(&mut self, run: RunId, waited: Result<(), Silence>) {
        let Some(asking) = self.asking.remove(&run) else {
            return;
        };
        self.poller.remove(asking.as_fd());
        let Asking { job, question, errand, .. } = asking;
        let known = understood(&question, waited.and_then(|()| errand.answer()));
        let event = known
            .and_then(|known| self.named(&job, &question, known))
            .and_then(|person| self.attempt(&job, run, person));
        if let Some(running) = self.runs.get(&run) {
            self.logger.has_process(run, running.attempt.pid());
        }
        let actions = self.begun(run, event);
        self.act(actions);
    }

    /// Those that have taken too long.
    pub(super) fn questions_due(&mut self) {
        let now = Instant::now();
        let late: Vec<RunId> =
            self.asking.iter().filter(|(_, asking)| asking.deadline <= now).map(|(run, _)| *run).collect();
        for run in late {
            self.answered(run, Err(Silence::Late));
        }
    }

    /// The run is to end before anybody knows whose it is.
    pub(super) fn no_answer_wanted(&mut self, run: RunId) -> Vec<Action> {
        let Some(asking) = self.asking.remove(&run) else {
            return Vec::new();
        };
        self.poller.remove(asking.as_fd());
        let event = Event::Unprepared(StartFailure::own("looking up an account", "it was stopped"));
        self.fleet.run(run, event, clock::now())
    }

    /// Who a job is that names an account; `None` = who this supervisor is.
    fn named(&self, job: &Job, question: &Question, known: Known) -> Result<Option<Person>, StartFailure> {
        match self.reader.owner {
            0 => person(job, question, known).map(Some),
            owner => is_owner(question, &known, owner).map(|()| None),
        }
    }

    /// Who a job is that names none.
    fn unnamed(&mut self, job: &Job) -> Result<Option<Person>, StartFailure> {
        if self.reader.owner != 0 {
            return Ok(None);
        }
        let identity = self.users.of(&job.label, name_of);
        let identity = identity.map_err(|why| StartFailure::own("a user id for the job", why))?;
        Ok(Some(Person { identity, account: None }))
    }
}

fn understood(question: &Question, answer: Result<FromWorker, Silence>) -> Result<Known, StartFailure> {
    let what = || format!("looking up the account {}", question.user);
    match answer {
        Ok(FromWorker::Account(known)) => Ok(known),
        Ok(FromWorker::Failed(failure)) => Err(failure),
        Ok(_) => Err(StartFailure::own(what(), Silence::Nonsense)),
        Err(Silence::Late) => {
            let advice = "see to the name service (nsswitch.conf), or give it longer by account-seconds";
            Err(StartFailure::job(what(), Silence::Late, advice))
        }
        Err(silence) => Err(StartFailure::own(what(), silence)),
    }
}
