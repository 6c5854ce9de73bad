// Copyright (c) keylife authors
// SPDX-License-Identifier: MPL-2.0

// Reads the page again once a minute and puts its <main> in the place of the one that is shown. It waits while somebody
// writes into a form, has selected text, or does not look.
'use strict';

const period = 60_000;

function busy() {
  const active = document.activeElement;
  const selected = document.getSelection();
  return document.hidden || (active && active.closest('form')) || (selected && !selected.isCollapsed);
}

// Where people were: the element with the focus, by its link or its label, and how far tables are scrolled.
function place(main) {
  const active = main.contains(document.activeElement) ? document.activeElement : null;
  return {
    link: active && active.getAttribute('href'),
    label: active && active.getAttribute('aria-label'),
    scrolled: [...main.querySelectorAll('.scroll')].map((e) => e.scrollLeft),
  };
}

function restore(main, was) {
  [...main.querySelectorAll('.scroll')].forEach((e, i) => { e.scrollLeft = was.scrolled[i] || 0; });
  const same = (e) => (was.link && e.getAttribute('href') === was.link) || (was.label && e.getAttribute('aria-label') === was.label);
  const focused = (was.link || was.label) && [...main.querySelectorAll('[href], [aria-label]')].find(same);
  if (focused) focused.focus({ preventScroll: true });
}

async function refresh() {
  if (busy()) return;
  const answer = await fetch(location.href, { credentials: 'same-origin', redirect: 'error' });
  const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
  const next = page.querySelector('main');
  const main = document.querySelector('main');
  if (!answer.ok || !next || busy()) return;
  const was = place(main);
  main.replaceWith(document.adoptNode(next));
  restore(next, was);
}

// The answer to a form is not read again: that would send the form.
if (!document.querySelector('section.result')) {
  setInterval(() => refresh().catch(() => {}), period); // the server has ended: what is shown says of when it is
}
