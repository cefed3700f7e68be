// SPDX-License-Identifier: GPL-3.0-or-later
//! Layouts of the routing layer's messages.
