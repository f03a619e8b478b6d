// The live auction: hears from the feed that something changed, or asks once a second where there is none, and counts down by the server's clock, never by this computer's.
// A figure on the page is always one that the server drew; when answers stay away, the page says so.
"use strict";
(() => {
  const EVERY = 1000;
  const HIDDEN_EVERY = 5000;
  const PATIENCE = 4000;
  const LOST_AFTER = 5000;
  const MEASURE_AGAIN = 30000;
  const FED_EVERY = 15000; // while the feed tells of changes, ask for the exact time only
  const FED_LOST_AFTER = 12000; // the feed says something every five seconds
  const SPREAD = 150; // so that a thousand pages do not ask in the same instant

  const room = document.getElementById("room");
  if (!room) {
    return;
  }
  const words = room.dataset;
  const connection = document.getElementById("connection");
  const announcement = document.getElementById("announcement");
  const marketTime = document.getElementById("market-time");

  // Server time = performance.now() + offset, known to within `doubt`; both in milliseconds.
  const navigation = performance.getEntriesByType("navigation")[0];
  let offset = Number(live().dataset.now) - (navigation ? navigation.responseStart : performance.now());
  let doubt = Infinity;
  let measured = -Infinity;
  let answered = performance.now();
  let timer = 0;
  let asked = -Infinity;
  let fed = false;
  let told = "";

  function live() {
    return document.getElementById("live");
  }

  function now() {
    return performance.now() + offset;
  }

  function measure(serverTime, asked, heard) {
    const half = (heard - asked) / 2;
    if (half <= doubt || heard - measured > MEASURE_AGAIN) {
      offset = serverTime - (asked + heard) / 2;
      doubt = half;
      measured = heard;
    }
  }

  function span(milliseconds) {
    const seconds = Math.ceil(milliseconds / 1000);
    const two = (number) => String(number).padStart(2, "0");
    const days = Math.floor(seconds / 86400);
    const clock = [Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60].map(two).join(":");
    return days ? `${days} ${words.days} ${clock}` : clock;
  }

  function write(element, text) {
    if (element && element.textContent !== text) {
      element.textContent = text;
    }
  }

  function tick() {
    const state = live().dataset;
    const countdown = document.getElementById("countdown");
    if (countdown && state.until) {
      const left = Number(state.until) - now();
      write(countdown, left > 0 ? span(left) : words.waiting);
      countdown.classList.toggle("soon", left > 0 && left <= 60000);
    }
    if (marketTime) {
      const zoned = new Intl.DateTimeFormat("en-GB", { timeZone: words.zone, timeStyle: "medium" });
      write(marketTime, zoned.format(new Date(now())) + (doubt < Infinity ? ` ±${(doubt / 1000).toFixed(2)} s` : ""));
    }
    const patience = fed ? FED_LOST_AFTER : LOST_AFTER;
    show(performance.now() - answered > patience ? "lost" : state.final ? "over" : "live");
  }

  function show(state) {
    if (room.dataset.connection !== state) {
      room.dataset.connection = state;
      connection.textContent = words[state];
    }
  }

  async function ask() {
    clearTimeout(timer);
    asked = performance.now();
    const sent = asked;
    try {
      const address = `${words.address}?seen=${encodeURIComponent(live().dataset.version)}`;
      const answer = await fetch(address, {
        cache: "no-store",
        redirect: "manual",
        signal: AbortSignal.timeout(PATIENCE),
      });
      if (answer.type === "opaqueredirect") {
        location.reload(); // the session has ended: the server leads to the sign-in page
        return;
      }
      const serverTime = Number(answer.headers.get("Market-Time"));
      if (answer.ok && serverTime) {
        const text = await answer.text();
        answered = performance.now();
        measure(serverTime, sent, answered);
        if (answer.status === 200) {
          replace(text);
        }
      }
    } catch {
      // No answer: `tick` says so once it has been too long.
    }
    if (!live().dataset.final) {
      clearTimeout(timer);
      timer = setTimeout(ask, fed ? FED_EVERY : document.hidden ? HIDDEN_EVERY : EVERY);
    }
  }

  function soon() {
    clearTimeout(timer);
    timer = setTimeout(ask, Math.max(0, asked + EVERY - performance.now()) + Math.random() * SPREAD);
  }

  function follow() {
    const source = new EventSource(words.feed, { withCredentials: true });
    source.addEventListener("time", () => {
      answered = performance.now();
    });
    source.addEventListener("standing", (message) => {
      const { server_time: _, ...standing } = JSON.parse(message.data);
      const text = JSON.stringify(standing);
      answered = performance.now();
      fed = true;
      if (text !== told) {
        told = text;
        soon();
      }
      if (live().dataset.final) {
        source.close();
      }
    });
    source.addEventListener("error", () => {
      if (fed) {
        fed = false; // asks as if there were no feed, until it is back
        soon();
      }
    });
  }

  function replace(text) {
    const fresh = new DOMParser().parseFromString(text, "text/html").getElementById("live");
    if (fresh) {
      live().replaceWith(fresh);
      write(announcement, fresh.dataset.say);
      tick();
    }
  }

  document.addEventListener("visibilitychange", () => {
    if (!document.hidden && !live().dataset.final) {
      clearTimeout(timer);
      ask();
    }
  });
  setInterval(tick, 100);
  tick();
  ask();
  if (words.feed) {
    follow();
  }
})();
