// SPDX-License-Identifier: GPL-3.0-or-later
//! Small pictures made of characters.

pub(crate) mod meter;
pub(crate) mod qr;
pub(crate) mod sparkline;
