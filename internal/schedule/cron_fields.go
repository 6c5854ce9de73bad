// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

package schedule

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/cronexpr"
)

// This file stands before the library that reads cron expressions: it takes more than every cron does, drops a range that
// names nothing from a list without a word, and loses the Sunday at the end of a range of days.

// cronPart is one part of a cron field: "*", a value or a range of values, and a step.
var cronPart = regexp.MustCompile(`^(?:\*|([0-9]{1,2}|[A-Za-z]{3})(?:-([0-9]{1,2}|[A-Za-z]{3}))?)(?:/([0-9]{1,3}))?$`)

// cronLast are the last values of the fields.
var cronLast = [5]string{"59", "23", "31", "12", "6"}

// hasDayInMonth reports whether a field has a day of which only the month tells the date.
func hasDayInMonth(place int, text string) bool {
	return slices.ContainsFunc(strings.Split(text, ","), func(piece string) bool { return dayInMonth(place, piece) != "" })
}

// dayOfMonth and dayOfWeek are the places of the days among the fields.
const dayOfMonth, dayOfWeek = 2, 4

// cronLastDay is a day counted from the end of the month, or the working day nearest to one; cronNthDay is the n-th day of the
// week in a month, or the last.
var (
	cronLastDay = regexp.MustCompile(`^(?i:L|LW|(?:[1-9]|[12][0-9]|3[01])W)$`)
	cronNthDay  = regexp.MustCompile(`^([0-7]|[A-Za-z]{3})(#[1-5]|[Ll])$`)
)

// dayInMonth returns a day of which only the month tells the date, such as "L" or "SUN#1", in words that the library reads
// right; empty: it is none.
func dayInMonth(place int, text string) string {
	if place == dayOfMonth && cronLastDay.MatchString(text) {
		return strings.ToUpper(text)
	}
	nth := cronNthDay.FindStringSubmatch(text)
	if place != dayOfWeek || nth == nil || weekday(nth[1]) < 0 {
		return ""
	}
	return strconv.Itoa(weekday(nth[1])%7) + strings.ToUpper(nth[2])
}

// cronField returns one of the five fields in words that the library reads right. What is wrong with it is empty where
// it can be read.
func cronField(place int, text string) (plain, wrong string) {
	pieces := strings.Split(text, ",")
	for i, piece := range pieces {
		if day := dayInMonth(place, piece); day != "" {
			pieces[i] = day
			continue
		}
		part := cronPart.FindStringSubmatch(piece)
		if part == nil {
			return "", `cannot read "` + piece + `"`
		}
		first, last, step := part[1], part[2], part[3]
		switch {
		case first != "" && last == "" && step != "":
			return "", `"` + piece + `" has a step without a range, which systems read differently; write "` + first + "-" + cronLast[place] + "/" + step + `"`
		case last != "" && place == dayOfWeek:
			pieces[i] = weekdays(first, last, step)
		case last != "" && namesNothing(place, piece):
			pieces[i] = ""
		}
		if pieces[i] == "" {
			return "", `cannot read "` + piece + `"`
		}
	}
	return strings.Join(pieces, ","), ""
}

// weekdays returns a range of days of the week as a list of numbers, in which Sunday is 0; empty: there is no such range.
func weekdays(first, last, step string) string {
	from, ends, every := weekday(first), weekday(last), 1
	if strings.EqualFold(last, "SUN") && from > 0 {
		ends = 7 // a week that begins on Monday
	}
	if step != "" {
		every, _ = strconv.Atoi(step)
	}
	if from < 0 || ends > 7 || every < 1 || every > 6 {
		return ""
	}
	var days []string
	for day := from; day <= ends; day += every {
		days = append(days, strconv.Itoa(day%7))
	}
	return strings.Join(days, ",")
}

// weekday returns the number of a day of the week, which for Sunday is 0 or 7 as it is written; below zero: it is none.
func weekday(text string) int {
	if number, err := strconv.Atoi(text); err == nil {
		return number
	}
	const names = "SUNMONTUEWEDTHUFRISAT"
	const letters = 3
	if at := strings.Index(names, strings.ToUpper(text)); at%letters == 0 {
		return at / letters
	}
	return -1
}

// namesNothing reports a range such as "5-1".
func namesNothing(place int, piece string) bool {
	alone := []string{"*", "*", "*", "*", "*"}
	alone[place] = piece
	expr, err := cronexpr.Parse(strings.Join(alone, " "))
	return err == nil && expr.Next(cronEpoch).IsZero()
}

// cronEpoch is a day to look for the first time of a cron schedule from.
var cronEpoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
