//! What `run` and `compile` need of this process before the supervisor's loop: the image, the machine, the cache.

use anyhow::anyhow;
use wjob_model::wall::{CompileBounds, Machine};
use wjob_supervisor::{Cache, Image, Places, Tools};

/// The caller's side of a supervisor.
pub(crate) struct Runtime {
    pub image: Image,
    pub machine: Machine,
    pub cache: Result<Cache, String>,
}

impl Runtime {
    /// Looks around.
    ///
    /// # Errors
    /// When this process cannot find its own file.
    pub fn open(build: &str) -> anyhow::Result<Self> {
        let image = Image::own(build).map_err(|why| anyhow!("cannot open the file of wjob itself: {why}"))?;
        let machine = wjob_sandbox::machine::look();
        let cache = places(machine.uid).and_then(|places| Cache::open(&places, machine.uid, build));
        Ok(Self { image, machine, cache })
    }

    /// The same as a supervisor's loop takes it.
    pub fn tools(&self) -> Tools<'_> {
        let cache = self.cache.as_ref().ok();
        Tools {
            image: &self.image,
            machine: &self.machine,
            cache,
            may_compile: true,
            compile: CompileBounds::default(),
        }
    }
}

/// Where this user's things are.
pub(crate) fn places(uid: u32) -> Result<Places, String> {
    Places::of(uid, |name| std::env::var(name).ok())
}
