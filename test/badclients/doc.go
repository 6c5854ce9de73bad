// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package badclients is about clients that send what no client should: too much, malformed, slowly, or half. They get an answer of 4xx that
// says what is wrong, the plugin's process stays, and others are served meanwhile.
package badclients
