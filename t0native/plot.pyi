from t0native.reports.plot import *
