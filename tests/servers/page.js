// What the page of tests.servers.site can tell from inside. A test asks for `report()` and judges the answer.

const UPLOAD = 3_000_001; // bytes
const EVENTS = 6; // more than one connection brings

async function hash(buffer) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", buffer));
    return Array.from(digest, byte => byte.toString(16).padStart(2, "0")).join("");
}

// Every asset once more, with as many requests at a time as the browser has connections for.
async function fetched() {
    const names = Object.keys(await (await fetch("/assets.json")).json());
    const hashes = names.map(async name => {
        const response = await fetch(`/assets/${name}`);
        return [name, response.status, await hash(await response.arrayBuffer())];
    });
    return Promise.all(hashes);
}

// Resolves when so many have come; the browser connects anew, with Last-Event-ID, whenever the stream ends.
function events(count) {
    return new Promise((resolve, reject) => {
        const seen = [];
        const source = new EventSource("/events");
        source.onmessage = event => {
            seen.push([event.lastEventId, event.data]);
            if (seen.length === count) {
                source.close();
                resolve(seen);
            }
        };
        source.onerror = () => {
            if (source.readyState === EventSource.CLOSED) reject(new Error("the event source gave up"));
        };
    });
}

async function uploads() {
    const bytes = new Uint8Array(UPLOAD).map((_, at) => at * 31 + (at >> 8));
    const sent = await hash(bytes);
    const plain = await (await fetch("/upload", { method: "POST", body: bytes })).json();
    const form = new FormData();
    form.append("word", "žluťoučký");
    form.append("file", new File([bytes], "noise.bin"));
    const filled = await (await fetch("/form", { method: "POST", body: form })).json();
    return { sent, plain, form: filled };
}

// Counts what comes before all of it is there; then another one, which is left in the middle.
async function streamed() {
    let length = 0, pieces = 0;
    for await (const piece of (await fetch("/chunked?size=4000037&seed=7")).body) {
        length += piece.length;
        pieces += 1;
    }
    const leaving = new AbortController();
    const reader = (await fetch("/download?size=1000000000&seed=1", { signal: leaving.signal })).body.getReader();
    await reader.read();
    leaving.abort();
    const left = await reader.read().then(() => "read on", error => error.name);
    return { length, pieces, left };
}

async function others() {
    const redirected = await fetch("/redirect?to=/headers&status=303", { method: "POST", body: "x" });
    const nothing = await fetch("/status/204");
    return {
        redirected: [redirected.redirected, new URL(redirected.url).pathname, redirected.status],
        nothing: [nothing.status, (await nothing.text()).length],
        cookies: document.cookie,
    };
}

async function report() {
    const style = getComputedStyle(document.documentElement);
    const styles = Array.from(document.styleSheets, sheet => sheet.href.match(/style-\d+/)[0]);
    const [hashes, seen, uploaded, stream, more] = await Promise.all(
        [fetched(), events(EVENTS), uploads(), streamed(), others()]
    );
    return {
        scripts: numbers.toSorted((one, other) => one - other),
        styles: styles.filter(name => style.getPropertyValue(`--${name}`) === "loaded"),
        images: Array.from(document.images, image => [image.src.match(/image-\d+\.\w+/)[0], image.naturalWidth]),
        fetched: hashes,
        events: seen,
        uploads: uploaded,
        streamed: stream,
        ...more,
    };
}

// Many WebSockets at a time: who answered each of them, what came back of each message, and how they were closed.
async function sockets(count, messages) {
    const one = number => new Promise((resolve, reject) => {
        const socket = new WebSocket(`ws://${location.host}/ws`, "echo");
        const back = [];
        socket.binaryType = "arraybuffer";
        socket.onopen = () => {
            socket.send("who are you?");
            for (let message = 0; message < messages; message++) socket.send(`${number}: ${message}`);
            socket.send(new Uint8Array(100_000).fill(number));
        };
        socket.onmessage = ({ data }) => {
            back.push(typeof data === "string" ? data : [data.byteLength, new Uint8Array(data).every(byte => byte === number)]);
            if (back.length === messages + 2) socket.send("close 4000");
        };
        socket.onerror = () => reject(new Error("the WebSocket failed"));
        socket.onclose = event => resolve([socket.protocol, back, [event.code, event.reason, event.wasClean]]);
    });
    return Promise.all(Array.from({ length: count }, (_, number) => one(number)));
}
