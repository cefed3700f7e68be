// SPDX-License-Identifier: GPL-3.0-or-later
//! Contacts, pins, trust and the policy for callers.
