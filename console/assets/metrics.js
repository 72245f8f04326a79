/* The broker's counters over time: /metrics, kept for two minutes. */
import {text} from "./ask.js";

export const SAMPLES = 60;
export const EVERY_MS = 2000;

const VERSION = /^sqmqos_build_info\{[^}]*\bversion="([^"]*)"/m;
const LINE = /^([a-zA-Z_:][\w:]*)(\{[^}]*\})? (\S+)/;

/* {name: sum over all labels} of a page of metrics; histograms' buckets are left out. */
function parse(page) {
	const sums = new Map();
	for (const line of page.split("\n")) {
		const found = LINE.exec(line);
		if (found === null || found[1].endsWith("_bucket"))
			continue;
		sums.set(found[1], (sums.get(found[1]) ?? 0) + Number(found[3]));
	}
	return sums;
}

export class History {
	version = ""; /* of the broker */
	#samples = []; /* {at, sums}, the oldest first */

	/* Asks for one more sample. */
	async take() {
		const answer = await text("metrics");
		if (answer.status !== 200)
			return;
		this.version = VERSION.exec(answer.text)?.[1] ?? "";
		this.#samples.push({at: performance.now(), sums: parse(answer.text)});
		if (this.#samples.length > SAMPLES + 1)
			this.#samples.shift();
	}

	/* The last value; null: there is none. */
	last(name) {
		return this.#samples.at(-1)?.sums.get(name) ?? null;
	}

	/* The last samples of a gauge; null: none at that time. */
	gauge(name) {
		return this.#padded(this.#samples.slice(-SAMPLES).map((s) => s.sums.get(name) ?? null));
	}

	/* What counters rose by per second, between each two samples.  A counter that fell is another
	 * broker's; after a pause nobody knows when it rose. */
	rates(...names) {
		const rates = [];
		for (let i = 1; i < this.#samples.length; i++) {
			const [before, after] = [this.#samples[i - 1], this.#samples[i]];
			const rose = names.reduce((sum, name) =>
				sum + (after.sums.get(name) ?? 0) - (before.sums.get(name) ?? 0), 0);
			const s = (after.at - before.at) / 1000;
			rates.push(rose < 0 || s > 4 * EVERY_MS / 1000 ? null : rose / s);
		}
		return this.#padded(rates);
	}

	#padded(values) {
		return [...Array(Math.max(0, SAMPLES - values.length)).fill(null), ...values];
	}
}
