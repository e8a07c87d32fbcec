#![doc = include_str!("../README.md")]

pub mod api;
pub mod canary;
pub mod cli;
pub mod evidence;
pub mod http;
pub mod kubernetes;
pub mod local;
pub mod metrics;
pub mod platform;
pub mod replay;
pub mod routers;
pub mod simulate;
pub mod yaml;
