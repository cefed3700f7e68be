// SPDX-License-Identifier: GPL-3.0-or-later
//! Calls and the waiting queue.
