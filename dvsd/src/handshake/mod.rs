// SPDX-License-Identifier: GPL-3.0-or-later
//! The three messages of the handshake as pure states.
