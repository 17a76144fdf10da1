// Node's own HTTP clients. Reads {port, tokens} from standard input, writes the status of each request.
import http from 'node:http';
import http2 from 'node:http2';
import { readFileSync } from 'node:fs';

const { port, tokens } = JSON.parse(readFileSync(0, 'utf8'));
const origin = `http://127.0.0.1:${port}`;
const bearer = (token) => ({ authorization: `Bearer ${token}` });
setTimeout(() => process.exit(3), 60_000).unref();

// HEADERS without END_STREAM, and then an empty DATA frame.
const overHttp2 = (path, token) =>
  new Promise((resolve, reject) => {
    const session = http2.connect(origin);
    session.on('error', reject);
    const request = session.request({ ':method': 'POST', ':path': path, ...bearer(token) });
    request.on('response', (headers) => {
      request.resume();
      request.on('end', () => {
        session.close();
        resolve(headers[':status']);
      });
    });
    request.on('error', reject);
    request.end();
  });

// Chunked, and no chunk but the last.
const overHttp1 = (path, token) =>
  new Promise((resolve, reject) => {
    const options = { port, path, method: 'POST', headers: bearer(token) };
    const request = http.request(options, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
    request.flushHeaders();
    request.end();
  });

const fetched = async (path, token, more) => {
  const options = { method: 'POST', headers: { ...bearer(token), ...more?.headers }, ...more?.body };
  const response = await fetch(origin + path, options);
  await response.text();
  return response.status;
};

const pieces = () => new Blob(['{"pieces":', 'true}']).stream();
const json = { headers: { 'content-type': 'application/json' }, body: { body: pieces(), duplex: 'half' } };
const text = { headers: { 'content-type': 'text/plain' }, body: { body: pieces(), duplex: 'half' } };
const statuses = {
  'http2, empty': await overHttp2('/x', tokens[0]),
  'http1, empty': await overHttp1('/x', tokens[0]),
  'fetch, empty': await fetched('/x', tokens[0]),
  'fetch, JSON in pieces': await fetched('/x', tokens[0], json),
  'fetch, text in pieces': await fetched('/x', tokens[0], text),
};
for (const [index, send] of [overHttp2, overHttp1, fetched].entries()) {
  statuses[`logout ${index}`] = await send('/auth/revoke', tokens[index]);
  statuses[`afterwards ${index}`] = await send('/x', tokens[index]);
}
console.log(JSON.stringify(statuses));
