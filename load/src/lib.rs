#![doc = include_str!("../README.md")]

pub mod cli;
pub mod client;
pub mod cookies;
pub mod drive;
pub mod limits;
pub mod pacer;
pub mod page;
pub mod person;
pub mod population;
pub mod progress;
pub mod record;
pub mod report;
pub mod scenario;
pub mod schedule;
pub mod session;
pub mod target;
