// SPDX-License-Identifier: GPL-3.0-or-later
//! Codec and playout.
