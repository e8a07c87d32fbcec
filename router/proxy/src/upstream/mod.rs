//! Connections to backends.

pub(crate) mod h1;
mod pool;

pub(crate) use pool::Pool;
