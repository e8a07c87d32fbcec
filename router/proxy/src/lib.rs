#![doc = include_str!("../README.md")]

pub mod args;
pub mod config;
pub mod control;
pub mod lifecycle;
pub mod listen;
pub mod metrics;
pub mod routes;
pub mod run;
mod serve;
pub mod worker;
