#![doc = include_str!("../README.md")]

pub mod access_log;
pub mod args;
pub mod config;
pub mod control;
mod downstream;
mod exchange;
mod fill;
pub mod lifecycle;
mod lines;
pub mod listen;
pub mod log;
pub mod message;
pub mod metrics;
mod room;
pub mod routes;
pub mod run;
mod socket;
mod timers;
pub mod tls;
mod turn;
mod upstream;
pub mod worker;
