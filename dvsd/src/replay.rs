// SPDX-License-Identifier: GPL-3.0-or-later
//! The replay window (RFC 6479).
