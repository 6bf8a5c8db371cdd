"""The log's readers: archive, SQL, history, audit, time travel. They come with the readers' release; nothing is here yet."""
