//! Pages that change something: comments, signing in, writing, moderating.

pub(crate) mod account;
pub(crate) mod comment;
pub(crate) mod desk;
pub(crate) mod editor;
pub(crate) mod kept;
pub(crate) mod login;
pub(crate) mod moderation;
pub(crate) mod pictures;
pub(crate) mod revisions;
pub(crate) mod settings;
pub(crate) mod typing;
pub(crate) mod users;
