//! `wjobd` with jobs in it, as its users meet it: what starts and ends them, what its socket answers, what it survives.

mod life;
