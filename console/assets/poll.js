/* Does something again and again while somebody looks.
 *
 *   waiting --time, or the page is seen again--> running --done--> waiting
 *
 * A page that is hidden, or that a person has paused, asks for nothing. */

let paused = false;
const polls = new Set();

export function isPaused() {
	return paused;
}

export function pause(now) {
	paused = now;
	for (const poll of polls)
		poll.look();
}

document.addEventListener("visibilitychange", () => {
	for (const poll of polls)
		poll.look();
});

export class Poll {
	#run;
	#everyMs;
	#timer = null;
	#running = false;
	#again = false;
	#ended = false;

	/* 'run' may take its time, and deals with its own errors: what it returns is the time in ms
	 * until the next, where it is not the usual. */
	constructor(everyMs, run) {
		this.#everyMs = everyMs;
		this.#run = run;
		polls.add(this);
		this.now();
	}

	/* Does it now, also while it is paused; once more, if it is under way. */
	async now() {
		if (this.#ended)
			return;
		if (this.#running) {
			this.#again = true;
			return;
		}
		clearTimeout(this.#timer);
		this.#timer = null;
		this.#running = true;
		const ms = await this.#run();
		this.#running = false;
		this.#arm(this.#again ? 0 : ms ?? this.#everyMs);
		this.#again = false;
	}

	/* Somebody looks again, or no longer. */
	look() {
		if (this.#running)
			return;
		if (document.hidden || paused) {
			clearTimeout(this.#timer);
			this.#timer = null;
		} else if (this.#timer === null) {
			this.now();
		}
	}

	end() {
		this.#ended = true;
		clearTimeout(this.#timer);
		polls.delete(this);
	}

	#arm(ms) {
		if (this.#ended || (ms > 0 && (document.hidden || paused)))
			return;
		this.#timer = setTimeout(() => this.now(), ms);
	}
}
