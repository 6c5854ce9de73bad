// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Package load asks an HTTP server for the same thing over and over, and measures: throughput and CPU where each connection asks
// again as soon as it was answered ([Client.Closed]), latency where requests come at a rate that does not depend on the answers
// ([Client.Open]). It knows HTTP/1.1 and processes, and nothing about what is asked.
//
// The generator runs on the machine it measures, so it has to cost little: requests are bytes that were made before, written at
// once to connections that stay open, and of an answer nothing is kept but the status. net/http would cost several times that.
package load
