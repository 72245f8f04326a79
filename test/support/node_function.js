// A function on Node: takes a web hook that is signed by the key in its argument, which it checks by
// itself, and answers with what it has made of the body. Prints its port, then a line for each request.
const crypto = require("crypto");
const http = require("http");

const key = Buffer.from(process.argv[2].replace("whsec_", ""), "base64");

function signedBy(headers, body) {
	const text = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.`;
	const mac = crypto.createHmac("sha256", key).update(text).update(body).digest("base64");
	return headers["webhook-signature"].split(" ").includes(`v1,${mac}`);
}

const server = http.createServer((request, response) => {
	const parts = [];
	request.on("data", (part) => parts.push(part));
	request.on("end", () => {
		const body = Buffer.concat(parts), good = signedBy(request.headers, body);
		console.log(JSON.stringify({path: request.url, headers: request.headers, body: body.toString(), good}));
		if (!good) {
			response.writeHead(401).end();
			return;
		}
		response.writeHead(200, {"content-type": "text/plain; charset=utf-8"});
		response.end(`${request.headers["ce-subject"]}: ${body.toString().toUpperCase()}`);
	});
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
