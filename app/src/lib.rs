#![doc = include_str!("../README.md")]

pub mod args;
mod autolink;
pub mod check;
mod cli;
mod code;
mod footnotes;
mod links;
pub mod markdown;
pub mod pictures;
mod rules;
pub mod seed;
mod server;
pub mod snippet;
pub mod store;
pub mod text;
pub mod transfer;
pub mod web;

pub use cli::run;
pub use server::{Drain, End, Server};
