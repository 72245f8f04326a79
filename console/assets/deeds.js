/* What a person can have the broker do.  Each asks first, and says what came of it; true: done. */
import {post} from "./ask.js";
import {confirm} from "./dialog.js";
import {number, visible} from "./format.js";
import {notice} from "./notice.js";

function plural(n, what) {
	return `${number(n)} ${what}${n === 1 ? "" : "s"}`;
}

async function deed(path, body, said) {
	try {
		const answer = await post(`v1/do/${path}`, body);
		notice("good", said(answer.done));
		return true;
	} catch (e) {
		notice("bad", e.status === undefined ? "The broker did not answer: what it has done is not known." : e.message);
		return false;
	}
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
		lines: [visible(queue), `The ${plural(depth, "message")} that wait in it are deleted. There is no way back.`],
		action: "Purge",
		name: queue,
	}) && deed("queues/purge", {queue}, (done) => `${plural(done, "message")} deleted.`);
}

/* A session ends, and with it its subscriptions and what waits for it. */
export async function remove(session, queued) {
	return await confirm({
		title: "Remove this session?",
		lines: [visible(session), "Its subscriptions end, and the "
			+ `${plural(queued, "message")} that wait for it are deleted. There is no way back.`],
		action: "Remove",
		name: session,
	}) && deed("sessions/remove", {session}, () => "The session is removed.");
}
