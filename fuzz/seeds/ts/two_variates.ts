# A comment
@problemName Seed
@timeStamps false
@missing true
@univariate false
@dimensions 2
@equalLength false
@classLabel true rise fall
@data
1.0,2.5,-3e2:0,?,4:rise
3,2,1,0:NaN,1,2,3:fall
