// SPDX-License-Identifier: GPL-3.0-or-later
//! Sessions: encrypted tunnels to authenticated peers.
