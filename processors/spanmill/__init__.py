"""spanmill derives exact metrics from every span and forwards the traces byte for byte."""
