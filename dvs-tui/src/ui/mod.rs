// SPDX-License-Identifier: GPL-3.0-or-later
//! The full-screen client.
//!
//! A pure core and a thin shell: [`app`] holds the state and decides, [`screens`], [`popups`] and [`widgets`] draw it,
//! and only [`mod@run`], [`terminal`], [`link`] and [`environment`] touch the world.
//!
//! | module | what lives there |
//! |---|---|
//! | `app` | the state; inputs and effects |
//! | `keys`, `command` | what can be done, by key and by word |
//! | `calls`, `people` | the calls; contacts and recent calls, and the selection |
//! | `screens`, `popups`, `widgets` | drawing |
//! | `theme`, `trust`, `policy`, `presence`, `verify`, `text`, `time` | how things look and how they are said |
//! | `sanitise` | cleaning of everything that comes from outside |
//! | `escape` | what is said to the terminal beside the drawing |
//! | `run`, `terminal`, `link`, `environment` | the shell |

mod app;
pub(crate) mod calls;
mod command;
pub(crate) mod devices;
pub(crate) mod environment;
mod escape;
#[cfg(test)]
pub(crate) mod example;
mod keys;
mod link;
pub(crate) mod overlay;
mod people;
pub(crate) mod policy;
mod popups;
pub(crate) mod presence;
mod run;
pub(crate) mod sanitise;
mod screens;
mod terminal;
pub(crate) mod text;
mod theme;
pub(crate) mod time;
pub(crate) mod trust;
pub(crate) mod verify;
mod widgets;

use std::path::PathBuf;

pub(crate) use self::run::run;

/// How to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// The daemon's directory; `None` looks in the usual places.
    pub(crate) runtime_dir: Option<PathBuf>,
    /// Frames per second, at most; `None` chooses by the connection.
    pub(crate) fps: Option<u8>,
    /// Unicode symbols or plain ASCII; `None` asks the locale.
    pub(crate) unicode: Option<bool>,
    /// No bell and no notification at an incoming call.
    pub(crate) quiet: bool,
}
