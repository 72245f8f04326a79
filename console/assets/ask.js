/* Requests to the broker's admin endpoint, beside whose paths the page is.
 *
 * One after the other: the endpoint makes four pages at a time, for everybody.  The token lives in
 * this variable and nowhere else. */

const ROOT = new URL("../", document.baseURI);
const TRIES = 4;      /* of a request that the broker has no room for */
const TIMEOUT_MS = 8000;

let token = "";
let turn = Promise.resolve();

/* The broker answers, and not with what was asked for. */
export class Refused extends Error {
	constructor(status, detail, retryMs) {
		super(detail);
		this.status = status;
		this.retryMs = retryMs;
	}
}

/* Nothing answers. */
export class Away extends Error {
}

export function useToken(text) {
	token = text;
}

export function hasToken() {
	return token !== "";
}

function wait(ms) {
	return new Promise((done) => setTimeout(done, ms));
}

async function problem(answer) {
	let detail = "";
	try {
		detail = (await answer.json()).detail ?? "";
	} catch {
		/* something on the way has answered */
	}
	const retry = Number(answer.headers.get("retry-after"));
	return new Refused(answer.status, detail || answer.statusText || `status ${answer.status}`,
		Number.isFinite(retry) && retry > 0 ? Math.min(retry, 10) * 1000 : 0);
}

async function send(path, options) {
	const headers = {...options.headers};
	if (token !== "")
		headers["Sqmqos-Authorization"] = `Bearer ${token}`;
	try {
		return await fetch(new URL(path, ROOT), {
			...options,
			headers,
			cache: "no-store",
			credentials: "same-origin",
			redirect: "error",
			signal: AbortSignal.timeout(TIMEOUT_MS),
		});
	} catch (e) {
		throw new Away(e.message);
	}
}

/* Sends until the broker has room, some times; 'again': whether that refusal is one to try again. */
async function patiently(path, options, again = () => true) {
	for (let tries = 1; ; tries++) {
		const answer = await send(path, options);
		if (answer.ok)
			return answer;
		const refused = await problem(answer);
		if (refused.retryMs === 0 || tries === TRIES || !again(refused))
			throw refused;
		await wait(refused.retryMs);
	}
}

function inTurn(run) {
	const mine = turn.then(run);
	turn = mine.catch(() => {});
	return mine;
}

/* The JSON at a path, as "v1/view". */
export function get(path) {
	return inTurn(async () => {
		const answer = await patiently(path, {});
		try {
			return await answer.json();
		} catch (e) {
			throw new Away(e.message);
		}
	});
}

/* Has the broker do something; again only where it says that it has not begun. */
export function post(path, body) {
	return inTurn(async () => {
		const answer = await patiently(path, {
			method: "POST",
			headers: {"content-type": "application/json"},
			body: JSON.stringify(body),
		}, (refused) => refused.status === 429);
		return answer.json();
	});
}

/* The text at a path that asks nobody who they are, and its status. */
export async function text(path) {
	const answer = await send(path, {});
	return {status: answer.status, text: await answer.text().catch((e) => {
		throw new Away(e.message);
	})};
}
