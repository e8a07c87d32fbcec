//! Readiness, as the system tells it.

use rustix::{
    event::{Timespec, epoll},
    fd::{AsFd, OwnedFd},
    io,
};
use std::time::Duration;

/// Descriptors that are waited for together, each with a number.
pub struct Events {
    epoll: OwnedFd,
    ready: Vec<epoll::Event>,
}

pub use epoll::EventFlags as Interest;

/// Readiness that one call tells at most.
const BATCH: usize = 256;

// === impl Events ===

impl Events {
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, ready: Vec::with_capacity(BATCH) })
    }

    pub fn add(&self, descriptor: impl AsFd, number: usize, interest: Interest) -> io::Result<()> {
        epoll::add(&self.epoll, descriptor, epoll::EventData::new_u64(number as u64), interest)
    }

    pub fn change(&self, descriptor: impl AsFd, number: usize, interest: Interest) -> io::Result<()> {
        epoll::modify(&self.epoll, descriptor, epoll::EventData::new_u64(number as u64), interest)
    }

    /// Waits, and moves the numbers that are ready to `numbers`.
    pub fn wait(&mut self, numbers: &mut Vec<usize>, limit: Option<Duration>) -> io::Result<()> {
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        numbers.clear();
        self.ready.clear();
        match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut self.ready), limit.as_ref()) {
            Ok(_) | Err(io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        numbers.extend(self.ready.iter().map(|event| event.data.u64() as usize));
        Ok(())
    }
}
