/* What a person can have the broker do.  Each asks first, and says what came of it; true:
 * something may have changed. */
import {post} from "./ask.js";
import {confirm} from "./dialog.js";
import {number, visible} from "./format.js";
import {notice} from "./notice.js";

function plural(n, what) {
	return `${number(n)} ${what}${n === 1 ? "" : "s"}`;
}

/* The broker does a part, and says where the next one begins. */
async function deed(path, body, said) {
	let done = 0, stayed = 0, after = null;
	try {
		do {
			const part = await post(`v1/do/${path}`, after === null ? body : {...body, after});
			done += part.done;
			stayed += part.stayed ?? 0;
			after = part.next ?? null;
		} while (after !== null);
	} catch (e) {
		notice("bad", `${e.status === undefined ? "The broker did not answer: what it has done is not known." : e.message}`
			+ `${done > 0 ? ` (${said(done)})` : ""}`);
		return true; /* something may have changed */
	}
	notice(stayed > 0 ? "bad" : "good", `${said(done)}${stayed > 0 ? ` ${plural(stayed, "letter")} stayed: nobody takes `
		+ `${stayed === 1 ? "its topic" : "their topics"}, or a queue is full.` : ""}`);
	return true;
}

/* Letters of one queue of dead letters, published again to their topics. */
export async function redrive(space, queue, letters) {
	const what = plural(letters.length, "letter");
	return await confirm({
		title: `Redrive ${what}?`,
		lines: [`${letters.length === 1 ? "It is" : "They are"} published again, each to its topic in space `
			+ `${visible(space)}, and ${letters.length === 1 ? "leaves" : "leave"} the dead letters.`],
		action: `Redrive ${what}`,
	}) && deed("dead-letters/redrive", {space, queue, letters},
		(done) => `${plural(done, "letter")} published again.`);
}

/* Everything that waits in a queue goes. */
export async function purge(queue, depth) {
	return await confirm({
		title: "Purge this queue?",
		lines: [visible(queue), `All that waits in it is deleted: ${plural(depth, "message")}. There is no way back.`],
		action: "Purge",
		name: queue,
	}) && deed("queues/purge", {queue}, (done) => `${plural(done, "message")} deleted.`);
}

/* A session ends, and with it its subscriptions and what waits for it. */
export async function remove(session, queued) {
	return await confirm({
		title: "Remove this session?",
		lines: [visible(session), "Its client is disconnected, its subscriptions end, and what waits for it is "
			+ `deleted: ${plural(queued, "message")}. Those of QoS 3 become dead letters. There is no way back.`],
		action: "Remove",
		name: session,
	}) && deed("sessions/remove", {session}, () => "The session is removed.");
}
