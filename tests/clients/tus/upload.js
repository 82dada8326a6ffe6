// Uploads FILE in pieces to URL with tus-js-client, which goes on by itself after broken
// connections; writes how far it is into STATE.
const fs = require("fs");
const tus = require("tus-js-client");
const [, , url, file, state] = process.argv;
const upload = new tus.Upload(fs.createReadStream(file), {
  endpoint: url,
  uploadSize: fs.statSync(file).size,
  chunkSize: 8 << 20,
  retryDelays: Array(40).fill(250),
  metadata: { filename: "large.bin", filetype: "application/x-large" },
  onProgress: (sent) => fs.writeFileSync(state, String(sent)),
  onError: (error) => { console.log(String(error)); process.exit(1); },
  onSuccess: () => process.exit(0),
});
upload.start();
