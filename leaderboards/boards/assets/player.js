// Plays a logged episode. Everything follows from what became of each task: when it was sent and
// where, how much it holds, how long it ran and how it ended. A frame is a pure function of time.
"use strict";

const ADMITTED = 1, REFUSED = 3, DROPPED = 4, DENIED = 5; // as in edge_marl/kernel.py
const COLOURS = 8;
const BARS = 64; // more servers than these are tiles, not bars
const FLASH = 0.012; // share of the episode for which a crash glows

function unpack(facts) {
  let sent = 0;
  const tasks = facts.sent.map((gap, k) => {
    sent += gap;
    const place = facts.place[k], status = facts.status[k];
    return {
      k, sent, end: sent + facts.ran[k], demand: facts.demand[k], reward: facts.reward[k], status,
      server: place < 0 ? -1 : Math.floor(place / facts.services),
      service: place < 0 ? -1 : place % facts.services,
      ran: status !== REFUSED && status !== DROPPED && status !== DENIED,
    };
  });
  const start = tasks[0].sent;
  const stop = Math.max(facts.clock, tasks.at(-1).sent, start + 1);
  const crashes = tasks.filter((task) => task.status === REFUSED);
  return { ...facts, tasks, crashes, start, stop, load: loadOverTime(facts, tasks, start, stop) };
}

// Share of all capacity in use, at 400 moments; the cloud has no end, and does not count.
function loadOverTime(facts, tasks, start, stop) {
  const edge = facts.cloud ? facts.capacity.length - 1 : facts.capacity.length;
  const total = facts.capacity.slice(0, edge).reduce((a, b) => a + b, 0);
  const moments = 400;
  const at = (time) => Math.ceil(((time - start) / (stop - start)) * (moments - 1));
  const change = new Float64Array(moments + 1);
  for (const task of tasks) {
    if (!task.ran || task.server >= edge) continue;
    change[Math.min(at(task.sent), moments)] += task.demand;
    change[Math.min(Math.max(at(task.end), at(task.sent)), moments)] -= task.demand;
  }
  let used = 0;
  return Array.from(change.slice(0, moments), (x) => (used += x) / total);
}

function span(ms) {
  if (ms < 120e3) return `${(ms / 1e3).toFixed(1)} s`;
  if (ms < 7200e3) return `${(ms / 60e3).toFixed(1)} min`;
  return `${(ms / 3600e3).toFixed(1)} h`;
}

class Player {
  constructor(root, episodes, fates) {
    this.root = root;
    this.fates = fates;
    this.episodes = episodes.map(unpack);
    this.find = (selector) => root.querySelector(selector);
    this.timeline = this.find(".timeline");
    this.servers = this.find(".servers");
    this.slider = this.find("input[type=range]");
    this.playing = false;
    this.listen();
    root.hidden = false;
    this.open(0);
  }

  listen() {
    this.find(".play").addEventListener("click", () => this.toggle());
    for (const button of this.root.querySelectorAll(".step"))
      button.addEventListener("click", () => this.step(Number(button.dataset.step)));
    this.find(".crash").addEventListener("click", () => this.toNextCrash());
    this.find(".episode")?.addEventListener("change", (event) => this.open(Number(event.target.value)));
    this.slider.addEventListener("input", () => {
      this.pause();
      this.seek(this.episode.start + (this.slider.value / this.slider.max) * this.length);
    });
    const drag = (event) => {
      if (event.type === "pointermove" && !event.buttons) return;
      const box = this.timeline.getBoundingClientRect();
      const share = Math.min(Math.max((event.clientX - box.left) / box.width, 0), 1);
      this.pause();
      this.seek(this.episode.start + share * this.length);
    };
    this.timeline.addEventListener("pointerdown", drag);
    this.timeline.addEventListener("pointermove", drag);
    addEventListener("resize", () => this.draw());
    addEventListener("themechange", () => this.draw());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get length() { return this.episode.stop - this.episode.start; }

  open(number) {
    this.pause();
    this.episode = this.episodes[number];
    this.find(".crash").disabled = this.episode.crashes.length === 0;
    this.writeLegend();
    this.seek(this.episode.start);
  }

  toggle() {
    if (this.playing) return this.pause(true);
    if (this.time >= this.episode.stop) this.time = this.episode.start;
    this.playing = true;
    this.find(".play").textContent = "Pause";
    this.find(".line").setAttribute("aria-live", "off"); // not every task aloud
    let last = performance.now();
    const frame = (now) => {
      if (!this.playing) return;
      const seconds = Number(this.find(".speed").value); // for the whole episode
      this.time = Math.min(this.time + ((now - last) / 1000 / seconds) * this.length, this.episode.stop);
      last = now;
      this.draw();
      if (this.time >= this.episode.stop) this.pause(true);
      else requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  pause(tell = false) {
    this.playing = false;
    this.find(".play").textContent = "Play";
    this.find(".line").setAttribute("aria-live", "polite");
    if (tell) this.draw();
  }

  seek(time) {
    this.time = time;
    this.draw();
  }

  step(direction) {
    this.pause();
    const times = this.episode.tasks.map((task) => task.sent);
    const found = direction > 0
      ? times.find((time) => time > this.time)
      : times.findLast((time) => time < this.time);
    this.seek(found ?? (direction > 0 ? this.episode.stop : this.episode.start));
  }

  toNextCrash() {
    this.pause();
    const { crashes } = this.episode;
    this.seek((crashes.find((task) => task.sent > this.time) ?? crashes[0]).sent);
  }

  // What is so at a moment: counts, what runs where, the last decision.
  look() {
    const seen = { decided: 0, running: 0, served: 0, lost: 0, crashes: 0, utility: 0, last: null };
    const here = this.episode.capacity.map(() => ({ used: 0, tasks: [], crashes: 0, crashed: -Infinity }));
    for (const task of this.episode.tasks) {
      if (task.sent > this.time) break;
      seen.decided += 1;
      seen.utility += task.reward;
      seen.last = task;
      if (task.ran && task.end > this.time) {
        seen.running += 1;
        here[task.server].used += task.demand;
        here[task.server].tasks.push(task);
      } else if (task.status === ADMITTED) seen.served += 1;
      else seen.lost += 1;
      if (task.status === REFUSED) {
        seen.crashes += 1;
        here[task.server].crashes += 1;
        here[task.server].crashed = task.sent;
      }
    }
    for (const [time, server, duration] of this.episode.outages)
      if (time <= this.time && this.time < time + duration) here[server].down = true;
    for (const server of here)
      if (this.time - server.crashed < this.episode.restart) server.down = true;
    return { seen, here };
  }

  draw() {
    const { seen, here } = this.look();
    const style = getComputedStyle(this.root);
    const cache = {};
    // A canvas knows no light-dark(): the browser resolves the colour on an element.
    const colour = (name) => cache[name] ??= resolve(this.root, `var(--${name})`);
    this.drawTimeline(colour, style);
    if (here.length <= BARS) this.drawBars(here, colour, style);
    else this.drawTiles(here, colour);
    this.slider.value = Math.round(((this.time - this.episode.start) / this.length) * this.slider.max);
    this.slider.setAttribute("aria-valuetext", `${span(this.time)} of ${span(this.episode.stop)}`);
    const shown = { ...seen, time: span(this.time), utility: seen.utility.toFixed(1) };
    for (const cell of this.root.querySelectorAll("[data-is]")) {
      cell.textContent = shown[cell.dataset.is];
      if (["lost", "crashes"].includes(cell.dataset.is)) cell.classList.toggle("bad", seen[cell.dataset.is] > 0);
    }
    this.find(".line").textContent = this.describe(seen.last);
    this.servers.setAttribute("aria-label", this.describeServers(here));
  }

  describe(task) {
    if (!task) return "Before the first decision.";
    const to = task.server < 0 ? "nowhere"
      : `${this.nameOf(task.server)}, service ${task.service}`;
    const lost = task.status === REFUSED
      ? this.episode.tasks.filter((t) => t.status === 2 && t.server === task.server && t.end === task.sent).length
      : 0;
    const what = task.status === REFUSED
      ? `did not fit: the server crashed and lost ${lost} running task${lost === 1 ? "" : "s"}`
      : task.ran && task.end > this.time ? `runs for ${span(task.end - task.sent)}`
      : this.fates[task.status];
    return `Decision ${task.k + 1} of ${this.episode.tasks.length}: demand ${task.demand} to ${to}; ${what}.`;
  }

  describeServers(here) {
    if (here.length > BARS) return `Load of ${here.length} servers`;
    return `Load of each server: ${here.map((s, k) => `${this.nameOf(k)} ${Math.round((100 * s.used) / this.episode.capacity[k])} %`).join(", ")}`;
  }

  nameOf(server) {
    return this.episode.cloud && server === this.episode.capacity.length - 1 ? "cloud" : `server ${server}`;
  }

  writeLegend() {
    const legend = this.find(".about");
    legend.replaceChildren();
    const { services, workload, run, restart, outages, capacity } = this.episode;
    const bars = capacity.length <= BARS;
    for (let service = 0; bars && service < services; service++) {
      const swatch = document.createElement("span");
      swatch.className = `swatch service-${service % COLOURS}`;
      legend.append(swatch, `service ${service}`);
    }
    if (bars) legend.append(document.createElement("br"));
    const shown = bars ? "Width of a block: its demand; outline: the server's capacity"
      : "A tile is a server, filled as far as its capacity is in use";
    const down = restart || outages.length ? " Hatched: the server is down." : "";
    legend.append(`Test workload ${workload}, run ${run}. ${shown}; red: a crash.${down} `
      + "Utility counts each task when it is decided, net of what was later taken back.");
  }

  drawTimeline(colour, style) {
    const { canvas, width, height } = prepare(this.timeline, 92);
    const { load, crashes, start } = this.episode;
    const x = (time) => ((time - start) / this.length) * width;
    const top = 16, foot = height - 2;
    const y = (share) => foot - Math.min(share, 1) * (foot - top);
    const area = () => {
      canvas.beginPath();
      canvas.moveTo(0, foot);
      load.forEach((share, k) => {
        canvas.lineTo((k / load.length) * width, y(share));
        canvas.lineTo(((k + 1) / load.length) * width, y(share));
      });
      canvas.lineTo(width, foot);
      canvas.fill();
    };
    canvas.fillStyle = colour("rule");
    area();
    canvas.save();
    canvas.beginPath();
    canvas.rect(0, 0, x(this.time), height);
    canvas.clip();
    canvas.fillStyle = colour("learned");
    area();
    canvas.restore();
    canvas.strokeStyle = colour("soft");
    canvas.setLineDash([3, 3]);
    line(canvas, 0, y(1) + 0.5, width, y(1) + 0.5);
    canvas.setLineDash([]);
    canvas.strokeStyle = colour("alarm");
    canvas.lineWidth = 1.5;
    for (const task of crashes) line(canvas, x(task.sent), 0, x(task.sent), top - 5);
    canvas.strokeStyle = colour("ink");
    canvas.lineWidth = 2;
    const cursor = Math.min(Math.max(x(this.time), 1), width - 1);
    line(canvas, cursor, 0, cursor, height);
    label(canvas, "capacity of all servers", 4, y(1) + 14, colour("soft"), style, "left");
  }

  drawBars(here, colour, style) {
    const row = here.length > 24 ? 16 : 24, gap = here.length > 24 ? 3 : 6;
    const { canvas, width } = prepare(this.servers, here.length * (row + gap));
    const left = 66, right = 44;
    const edge = this.episode.cloud ? this.episode.capacity.slice(0, -1) : this.episode.capacity;
    const scale = (width - left - right) / Math.max(...edge);
    here.forEach((server, k) => {
      const top = k * (row + gap);
      const room = Math.min(this.episode.capacity[k] * scale, width - left - right);
      const glow = this.time - server.crashed < FLASH * this.length;
      canvas.fillStyle = colour("raised");
      canvas.fillRect(left, top, room, row);
      let at = left;
      for (const task of server.tasks) {
        const wide = Math.min(task.demand * scale, left + room - at);
        if (wide <= 0) break;
        canvas.fillStyle = colour(`service-${task.service % COLOURS}`);
        canvas.fillRect(at, top, Math.max(wide - 1, 0.5), row);
        at += task.demand * scale;
      }
      if (server.down) hatch(canvas, left, top, room, row, colour("soft"));
      canvas.strokeStyle = glow ? colour("alarm") : colour("rule");
      canvas.lineWidth = glow ? 3 : 1;
      canvas.strokeRect(left + 0.5, top + 0.5, room - 1, row - 1);
      label(canvas, this.nameOf(k), left - 8, top + row / 2 + 4, colour("soft"), style, "right");
      if (server.crashes)
        label(canvas, `× ${server.crashes}`, left + room + 8, top + row / 2 + 4, colour("alarm"), style, "left");
    });
  }

  drawTiles(here, colour) {
    const wide = this.root.clientWidth - 30;
    const size = Math.max(6, Math.min(26, Math.floor(Math.sqrt((wide * 340) / here.length))));
    const columns = Math.max(1, Math.floor(wide / size));
    const { canvas } = prepare(this.servers, Math.ceil(here.length / columns) * size);
    here.forEach((server, k) => {
      const x = (k % columns) * size, y = Math.floor(k / columns) * size, side = size - 1.5;
      canvas.fillStyle = colour("raised");
      canvas.fillRect(x, y, side, side);
      const full = Math.min(server.used / this.episode.capacity[k], 1) * side;
      canvas.fillStyle = colour("learned");
      canvas.fillRect(x, y + side - full, side, full);
      if (server.down) hatch(canvas, x, y, side, side, colour("soft"));
      if (this.time - server.crashed < FLASH * this.length) {
        canvas.fillStyle = colour("alarm");
        canvas.fillRect(x, y, side, side);
      }
    });
  }
}

function resolve(root, value) {
  const probe = document.createElement("span");
  probe.style.color = value;
  root.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

function prepare(element, height) {
  const width = element.clientWidth, ratio = devicePixelRatio || 1;
  element.style.height = `${height}px`;
  element.width = Math.round(width * ratio);
  element.height = Math.round(height * ratio);
  const canvas = element.getContext("2d");
  canvas.scale(ratio, ratio);
  return { canvas, width, height };
}

function line(canvas, x1, y1, x2, y2) {
  canvas.beginPath();
  canvas.moveTo(x1, y1);
  canvas.lineTo(x2, y2);
  canvas.stroke();
}

function label(canvas, text, x, y, colour, style, align) {
  canvas.font = `12px ${style.fontFamily}`;
  canvas.textAlign = align;
  canvas.fillStyle = colour;
  canvas.fillText(text, x, y);
}

function hatch(canvas, x, y, width, height, colour) {
  canvas.save();
  canvas.beginPath();
  canvas.rect(x, y, width, height);
  canvas.clip();
  canvas.strokeStyle = colour;
  canvas.lineWidth = 1;
  for (let at = x - height; at < x + width; at += 6) line(canvas, at, y + height, at + height, y);
  canvas.restore();
}

{
  const read = (id) => JSON.parse(document.getElementById(id).textContent);
  new Player(document.querySelector(".player"), read("episodes"), read("fates"));
}
