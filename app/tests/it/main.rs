//! The blog at its borders: pages in process, the store on both databases, the program over sockets.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that can't go on fails here")]

mod browser;
mod drain;
mod limits;
mod outage;
mod pages;
mod postgres;
mod process;
mod readers;
mod store;
mod support;
