"""What serving needs beside the pages: all that knows Gradio's, the host's and the proxy's internals."""
