#![doc = include_str!("../README.md")]

pub mod api;
pub mod canary;
pub mod cli;
pub mod evidence;
pub mod gates;
pub mod http;
pub mod kubernetes;
pub mod local;
pub mod metrics;
pub mod notify;
pub mod platform;
pub mod replay;
pub mod routers;
pub mod secrets;
pub mod simulate;
pub mod yaml;
