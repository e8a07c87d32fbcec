//! The blog at its borders: pages in process, the store on both databases, the program over sockets.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that can't go on fails here"
)]

mod api;
mod browser;
mod command;
mod desk;
mod drain;
mod formats;
mod limits;
mod outage;
mod pages;
mod pictures;
mod places;
mod postgres;
mod process;
mod readers;
mod s3;
// The system counts there what a process reads.
#[cfg(target_os = "linux")]
mod scale;
mod store;
mod support;
mod transfer;
