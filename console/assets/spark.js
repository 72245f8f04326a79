/* Small pictures: a line of the last minutes, and how much of something is used. */
import {svg} from "./dom.js";

const WIDTH = 240, HEIGHT = 44, ROOM = 3;

/* Runs of values that are known, each [[x, y], …]. */
function runs(values, most) {
	const found = [];
	let run = null;
	values.forEach((value, i) => {
		if (value === null) {
			run = null;
			return;
		}
		if (run === null)
			found.push(run = []);
		run.push([i * WIDTH / (values.length - 1),
			HEIGHT - ROOM - value / most * (HEIGHT - 2 * ROOM)]);
	});
	return found;
}

function path(points) {
	return points.map(([x, y], i) => `${i === 0 ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
}

/* The values from left to right, null where none is known; label: what they are, in words. */
export function spark(values, label) {
	const most = Math.max(1, ...values.filter((v) => v !== null));
	const shapes = runs(values, most).filter((run) => run.length > 1).flatMap((run) => [
		svg("path", {
			class: "area",
			d: `${path(run)}L${run.at(-1)[0].toFixed(1)} ${HEIGHT}L${run[0][0].toFixed(1)} ${HEIGHT}Z`,
		}),
		svg("path", {class: "line", d: path(run), "vector-effect": "non-scaling-stroke"}),
	]);

	return svg("svg", {
		class: "spark",
		viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
		preserveAspectRatio: "none",
		role: "img",
		"aria-label": label,
	}, ...shapes);
}

/* A part of 1; label: of what, in words. */
export function bar(part, label) {
	return svg("svg", {
		class: `bar ${part > 0.9 ? "bad" : part > 0.7 ? "warn" : ""}`,
		viewBox: "0 0 100 1",
		preserveAspectRatio: "none",
		role: "meter",
		"aria-label": label,
		"aria-valuemin": 0,
		"aria-valuemax": 100,
		"aria-valuenow": Math.round(part * 100),
	}, svg("rect", {width: 100 * part, height: 1}));
}
