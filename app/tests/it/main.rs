//! The blog at its borders: pages in process, the store on both databases, the program over sockets.

#![expect(clippy::unwrap_used, reason = "a test that can't go on fails here")]

mod drain;
mod pages;
mod postgres;
mod store;
mod support;
