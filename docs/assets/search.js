// A Chinese word is found where all its characters are; left to itself, the search would drop the last of them.
{
  const post = Worker.prototype.postMessage;
  Worker.prototype.postMessage = function (message, ...more) {
    if (typeof message?.data === "string") {
      const data = message.data.replace(/\p{sc=Han}{2,}/gu, (word) => `+${[...word].join(" +")}`);
      message = { ...message, data };
    }
    return post.call(this, message, ...more);
  };
}
