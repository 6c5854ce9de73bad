// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package refusal

import "errors"

// Obstacle is what stands in the way of an act that is refused.
type Obstacle string

// The obstacles.
const (
	ByState    Obstacle = "state"
	ByPolicy   Obstacle = "policy"
	ByHold     Obstacle = "hold"
	ByApproval Obstacle = "approval"
	ByCAS      Obstacle = "cas"
)

// Obstacles are all of them.
func Obstacles() []Obstacle { return []Obstacle{ByPolicy, ByState, ByHold, ByApproval, ByCAS} }

// Because says what stands in the way of an act. It keeps text and kind of the error.
func Because(o Obstacle, err error) error {
	if err == nil {
		return nil
	}
	return obstacleError{err, o}
}

type obstacleError struct {
	error
	obstacle Obstacle
}

func (e obstacleError) Unwrap() error { return e.error }

// ObstacleOf returns what stands in the way of an act; empty: the error is no refusal, or the input is wrong whatever the
// mount holds.
func ObstacleOf(err error) Obstacle {
	var named obstacleError
	switch known := errors.As(err, &named); {
	case errors.Is(err, ErrConsent):
		return ByApproval
	case errors.Is(err, ErrConflict):
		return ByCAS
	case known && (errors.Is(err, ErrRefused) || errors.Is(err, ErrInvalid)):
		return named.obstacle
	case errors.Is(err, ErrRefused):
		return ByState
	default:
		return ""
	}
}
